"""Secrets in a file: tokens, keys and passwords by the form that their issuers gave them; placeholders are none.

The rules are our own. detect-secrets 1.5.0 was tried beside them on 29 kinds of secrets: without its entropy detectors,
which take every SHA-256 sum of a manifest for a secret, it misses those of Hugging Face, OpenAI, Anthropic and Google,
fine-grained ones of GitHub, and a bearer token; it takes the sample key of Amazon's documentation for one; and it needs
5 s for a vocabulary of 30,000 lines, where these rules need some milliseconds.
"""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from mmap import mmap

# Where a rule has a group, that is the secret itself. In a pickle or a protocol buffer, what stands before a secret may
# be a letter, so a rule asks for the border of a word only where its form is common without one.
_RULES = {
    "a Hugging Face token": rb"(?:hf_|api_org_)[A-Za-z0-9]{30,}",
    "a GitHub token": rb"(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})",
    "a GitLab token": rb"glpat-[\w-]{20,}",
    "an AWS key": rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "an AWS secret": rb"(?i:aws_secret_access_key)\W{1,6}[A-Za-z0-9/+]{40}\b",
    "an Azure key": rb"\bAccountKey=[A-Za-z0-9+/]{80,}={0,2}",
    "a Google key": rb"\bAIza[\w-]{35}",
    "a Google client secret": rb"\bGOCSPX-[\w-]{28}",
    "a Slack token": rb"xox[abeprs]-[A-Za-z0-9-]{10,}",
    "a Slack webhook": rb"hooks\.slack\.com/services/T\w+/B\w+/\w{20,}",
    "an OpenAI or Anthropic key": rb"\bsk-(?:ant-|proj-)?(?=[\w-]*\d)[\w-]{32,}",
    "a Stripe key": rb"\b[sr]k_live_[A-Za-z0-9]{24,}",
    "a SendGrid key": rb"\bSG\.[\w-]{22}\.[\w-]{43}",
    "an npm token": rb"\bnpm_[A-Za-z0-9]{36}\b",
    "a PyPI token": rb"\bpypi-AgE[\w-]{50,}",
    "a Telegram token": rb"\b\d{8,10}:AA[\w-]{33}\b",
    "a Discord token": rb"\b[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,}",
    "a Twilio key": rb"\b(?:SK|AC)[0-9a-f]{32}\b",
    "a Weights & Biases key": rb"(?i:wandb_api_key)\W{1,4}[0-9a-f]{40}\b",
    "a key of a service": rb"\b(?:gsk_|pplx-|nvapi-|xai-|jina_|pcsk_|tvly-|r8_|dckr_pat_|lin_api_|hvs\.|ATATT)"
    rb"(?=[\w-]*\d)[\w-]{24,}"
    rb"|\b(?:dop_v1_|dapi|lsv2_[ps]t_|shp(?:at|ca|pa|ss)_)[0-9a-f]{32}|\bAGE-SECRET-KEY-1[A-Z0-9]{50,}",
    "the signature of an address": rb"[?&](?:X-Amz-Signature|X-Goog-Signature|sig)=([\w+/-]{32,})",
    "an AWS session token": rb"(?i:aws_session_token)\W{1,6}([\w+/=]{60,})",
    "a login of .netrc": rb"\bmachine\s+\S+\s+login\s+\S+\s+password\s+(\S{6,})",
    "a JSON web token": rb"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "an authorization header": rb"(?i:authorization\W{1,6}(?:bearer|basic))\s+([\w.~+/=-]{16,})",
    "a registry login": rb'"auth"\s*:\s*"([A-Za-z0-9+/=]{16,})"',
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n|[\w-]+: .*)*([A-Za-z0-9+/]{16,})"
    rb"|PuTTY-User-Key-File-\d:",
    "a password in an address": rb"\b[a-z][a-z0-9+]{2,9}://[^\s/:@'\"]{1,64}:([^\s/:@'\"]{3,64})@[\w.-]+",
    "a password": rb"(?i:password|passwd|api_?key|secret(?:_?key)?|(?:access|auth)_?token)['\"]?\s*[:=]\s*"
    rb"['\"](?=[^'\"]*\d)(?=[^'\"]*[A-Za-z])([^'\"\s(){}\[\]<>$]{12,})['\"]",
}
_SECRETS = {what: re.compile(rule) for what, rule in _RULES.items()}
_PLACEHOLDER = re.compile(
    rb"(?i)x{4,}|\*{3,}|\.{3}|[<>{}$%]|your|example|placeholder|dummy|redacted|change_?me|insert|fake|sample"
    rb"|^(?:password|passwd|pass|pwd|secret|token)$"
)
_ESCAPE = re.compile(
    rb"\\(?:u00|x|U000000)(?P<hex>[0-7][0-9a-fA-F])|&#(?:0*(?P<decimal>\d{2,3})|[xX]0*(?P<reference>[0-9a-fA-F]{2}));"
)
# Where a text goes on in the next literal, as in Python ("a" "b"), JavaScript ("a" + "b") and shells, or behind a
# line end that a backslash takes away. Comments between the two have no quotes. No part is tried twice: this is linear.
_GAP = rb"(?:\s|\\\r?\n|(?:#|//)[^\n\"'`]*+\n)*+"
_JOINT = re.compile(rb"[\"'`]" + _GAP + rb"[+.&]?" + _GAP + rb"[rbufRBUF]{0,2}[\"'`]|\\\r?\n[ \t]*+")
_MOST = 64 << 20  # bytes that are unpacked of one archive
_DEEPEST = 3  # archives in archives


def find_secret(content: "bytes | mmap") -> str | None:
    """Return what kind of secret some bytes hold; None where there is none."""
    for form in _forms(content):
        for what, rule in _SECRETS.items():
            for match in rule.finditer(form):
                if not _PLACEHOLDER.search(match[match.lastindex or 0]):
                    return what
    return None


def _forms(content: "bytes | mmap") -> "Iterator[bytes | mmap]":
    """Yield bytes; and where they are text with escapes, or in several literals, once more as its reader reads it.

    Escapes are those of JSON, YAML, Python, HTML and XML.
    """
    yield content
    if isinstance(content, bytes):
        plain = _ESCAPE.sub(_character, content)
        for form in (plain, _JOINT.sub(b"", plain)):
            if form != content:
                yield form


def _character(match: re.Match[bytes]) -> bytes:
    code = int(match["decimal"]) if match["decimal"] else int(match["hex"] or match["reference"], 16)
    return bytes([code]) if 0x20 <= code < 0x7F else match[0]


def unpack(content: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield bytes in the forms in which they may hold text: as they are, without NULs (UTF-16), and unpacked."""
    yield content
    if b"\0" in content:
        yield content.replace(b"\0", b"")
    if depth < _DEEPEST:
        try:
            for part in _parts(content):
                yield from unpack(part, depth + 1)
        except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError):
            return  # it began as an archive does, and is none, or one that asks for a password
        except zipfile.BadZipFile:
            return


def _parts(content: bytes) -> Iterator[bytes]:
    if content.startswith(b"PK") and zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    yield member.read(_MOST)
    elif content.startswith(b"\x1f\x8b"):
        yield gzip.GzipFile(fileobj=io.BytesIO(content)).read(_MOST)
    elif content.startswith(b"BZh"):
        yield bz2.BZ2File(io.BytesIO(content)).read(_MOST)
    elif content.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
        yield lzma.LZMAFile(io.BytesIO(content)).read(_MOST)
    elif content[:1] == b"\x78" and len(content) > 2 and int.from_bytes(content[:2], "big") % 31 == 0:
        yield zlib.decompressobj().decompress(content, _MOST)
