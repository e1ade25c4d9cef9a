"""Secrets are known by the forms of their issuers; placeholders are none."""

import pytest

from hf_embeddings.uploads.secrets import find_secret

LETTERS = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v2W3z4Y5" * 3
# Put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "a Hugging Face token": "hf" + "_" + LETTERS[:34],
    "a GitHub token": "github" + "_pat_" + LETTERS[:82],
    "a GitLab token": "glp" + "at-" + LETTERS[:20],
    "an AWS key": "AK" + "IA" + "ABCDEFGH12345678",
    "an AWS secret": "aws_secret_access_key = " + LETTERS[:40],
    "an Azure key": "Account" + "Key=" + LETTERS[:86] + "==",
    "a Google key": "AI" + "za" + LETTERS[:35],
    "a Google client secret": "GOC" + "SPX-" + LETTERS[:28],
    "a Slack token": "xo" + "xb-123456789012-" + LETTERS[:24],
    "a Slack webhook": "https://hooks.slack" + ".com/services/T0AB/B0AB/" + LETTERS[:24],
    "an OpenAI or Anthropic key": "sk" + "-ant-api03-" + LETTERS[:93],
    "a Stripe key": "sk" + "_live_" + LETTERS[:24],
    "a SendGrid key": "S" + f"G.{LETTERS[:22]}.{LETTERS[:43]}",
    "an npm token": "np" + "m_" + LETTERS[:36],
    "a PyPI token": "py" + "pi-AgEIcHlwaS5vcmc" + LETTERS[:90],
    "a Telegram token": "123456789" + ":AA" + LETTERS[:33],
    "a Discord token": "M" + LETTERS[:23] + "." + LETTERS[:6] + "." + LETTERS[:27],
    "a Twilio key": "S" + "K" + "0123456789abcdef" * 2,
    "a Weights & Biases key": "WANDB_API_KEY=" + "0123456789abcdef" * 2 + "01234567",
    "a key of a service": "gsk_" + LETTERS[:48],
    "the signature of an address": "https://b.s3.example/a?X-Amz-Expires=9&X-Amz-" + "Signature=" + "01ab" * 16,
    "an AWS session token": "aws_session_token = " + LETTERS[:100],
    "a login of .netrc": "machine api.wandb.ai\n  login user\n  pass" + "word 0123456789abcdef",
    "a JSON web token": "ey" + f"J{LETTERS[:20]}.eyJ{LETTERS[:20]}.{LETTERS[:30]}",
    "an authorization header": "'Authorization': 'Basic " + LETTERS[:24] + "'",
    "a registry login": '{"auth": "' + LETTERS[:24] + '"}',
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----\\n" + LETTERS[:64],
    "a password in an address": "postgres://me:" + "pw3@db.internal/x",
    "a password": 'pass' + 'word = "hunter2hunter2"',
}  # fmt: skip
HARMLESS = [
    "hf_" + "x" * 34, "hf_your_token_here_your_token_here_12", "hf_${TOKEN}", "AKIAIOSFODNN7EXAMPLE", "sk-" + "x" * 40,
    "https://user:password@host/", "https://<user>:<token>@host", "http://${A}:${B}@host", "https://me:***@host/",
    '"sha256": "' + "0123456789abcdef" * 4 + '"', "id: 550e8400-e29b-41d4-a716-446655440000",
    'api_key="your-api-key-12345"', 'password = os.environ["PASSWORD_123"]', '"unk_token": "[UNK]"',
    "-----BEGIN PUBLIC KEY-----\n" + LETTERS[:64], "-----BEGIN CERTIFICATE-----\n" + LETTERS[:64],
    "-----BEGIN PRIVATE KEY-----\n...\n", "Authorization: Bearer <your token>", "the task-" + "a" * 40,
    "r8_and_hvs.and_xai-are-no-keys-of-any-service", "?sig=abc&X-Amz-Signature=<signature>", "login x password y",
    "sk-learn-is-a-library-with-a-rather-long-address", "base64,iVBORw0KGgoAAAANSUhEUg" + LETTERS,
]  # fmt: skip


@pytest.mark.parametrize("kind", SECRETS)
def test_found(kind: str) -> None:
    assert find_secret(f"text before\n{SECRETS[kind]}\nand behind".encode()) == kind


ESCAPES = {
    "JSON, YAML and Python": "\\u{:04x}", "YAML and Python": "\\x{:02X}", "Python": "\\U{:08x}",
    "HTML and XML": "&#{};", "HTML and XML, hexadecimal": "&#x{:X};",
}  # fmt: skip


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
def test_letters_that_are_escapes_are_read_as_their_reader_reads_them(escape: str) -> None:
    text = "".join(escape.format(ord(letter)) for letter in SECRETS["a key of a service"])
    assert find_secret(f'{{"a": "{text}", "a": "b"}}'.encode()) == "a key of a service"


JOINTS = {
    "Python": "'A' 'B'", "parentheses": "(\n  'A'\n  'B'\n)", "a sum": "'A' + 'B'",
    "a sum over lines": "'A' +\r\n\t'B'",
    "other quotes": "'A' \"B\"", "prefixes": "b'A' rb'B'", "comments": "('A'  # the first half\n  # and\n 'B')",
    "a line end that is escaped": "'A' \\\n 'B'", "in the text": "'A\\\n  B'",
    "JavaScript": "`A` + // so\n `B`", "PHP": "'A'.'B'",
    "a shell": "'A'\"B\"", "escapes as well": "'\\x68' 'f_' 'B'",
}  # fmt: skip


@pytest.mark.parametrize("joint", JOINTS.values(), ids=JOINTS.keys())
def test_a_secret_in_several_literals_is_found(joint: str) -> None:
    secret = SECRETS["a Hugging Face token"]
    text = joint.replace("B", secret[3:] if "x68" in joint else secret[9:]).replace("A", secret[:9])
    assert find_secret(f"x = {text}\n".encode()) == "a Hugging Face token"


def test_texts_beside_each_other_are_not_joined() -> None:
    start, rest = SECRETS["a Hugging Face token"][:9], SECRETS["a Hugging Face token"][9:]
    for text in (f'["{start}", "{rest}"]', f'{{"{start}": "{rest}"}}', f'"{start}" and "{rest}"', f"{start}\n{rest}"):
        assert find_secret(text.encode()) is None


@pytest.mark.parametrize("text", HARMLESS)
def test_not_found(text: str) -> None:
    assert find_secret(text.encode()) is None
