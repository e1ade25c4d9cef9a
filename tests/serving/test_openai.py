"""POST /v1/embeddings, driven by OpenAI's own client: vectors are those of the encoder, mistakes are its exceptions."""

import base64
import json
from collections.abc import Iterator

import numpy as np
import openai
import pytest

from hf_embeddings.search.encoder import Encoder
from hf_embeddings.serving.limits import Limits
from hf_embeddings.serving.server import Server
from tests.serving.conftest import NAME, ask, get, post, serving


@pytest.fixture(scope="module")
def api(encoder: Encoder) -> Iterator[Server]:
    with serving(encoder, limits=Limits(inputs=50, request_tokens=400)) as server:
        yield server


@pytest.fixture(scope="module")
def client(api: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{api.url}v1", api_key="none is asked for", max_retries=0) as client:
        yield client


def vectors(answer: openai.types.CreateEmbeddingResponse) -> np.ndarray:
    assert [item.index for item in answer.data] == list(range(len(answer.data)))
    return np.array([item.embedding for item in answer.data])


@pytest.mark.parametrize("form", ["float", "base64", openai.omit])
def test_texts_have_the_vectors_of_the_encoder(client, encoder: Encoder, texts: list[str], form) -> None:
    given = texts[:8]
    answer = client.embeddings.create(input=given, model=NAME, encoding_format=form)
    found = answer.data[0].embedding
    if form == "base64":  # asked for by the user, it comes as it is
        found = np.frombuffer(base64.b64decode(found), "<f4")
    np.testing.assert_allclose(found, encoder.encode(given)[0], atol=1e-6)
    assert answer.model == NAME and answer.usage.prompt_tokens == answer.usage.total_tokens
    assert answer.usage.total_tokens == sum(encoder.count_tokens(given))


def test_one_text_is_a_list_of_one(client, encoder: Encoder) -> None:
    answer = client.embeddings.create(input="the cat sleeps", model=NAME)
    np.testing.assert_allclose(vectors(answer), encoder.encode(["the cat sleeps"]), atol=1e-6)


@pytest.mark.parametrize("special", [False, True])
def test_token_ids_are_the_text_that_they_spell(client, encoder: Encoder, special: bool) -> None:
    """With the special tokens around them or without."""
    given = ["the cat sleeps", "a big red dog"]
    ids = encoder.tokenizer(given, add_special_tokens=special)["input_ids"]
    expected = encoder.encode(given)
    np.testing.assert_allclose(vectors(client.embeddings.create(input=ids, model=NAME)), expected, atol=1e-6)
    np.testing.assert_allclose(vectors(client.embeddings.create(input=ids[0], model=NAME)), expected[:1], atol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 5, 32])
def test_fewer_dimensions_are_the_first_ones_at_length_1(client, encoder: Encoder, dimensions: int) -> None:
    found = vectors(client.embeddings.create(input=["the cat", "a dog"], model=NAME, dimensions=dimensions))
    kept = encoder.encode(["the cat", "a dog"])[:, :dimensions]
    np.testing.assert_allclose(found, kept / np.linalg.norm(kept, axis=1, keepdims=True), atol=1e-5)


def test_a_long_text_is_cut_where_that_is_asked_for(client, encoder: Encoder) -> None:
    long = "the cat runs " * 30
    found = client.embeddings.create(input=long, model=NAME, extra_body={"truncate": True})
    np.testing.assert_allclose(vectors(found), encoder.encode([long]), atol=1e-6)
    assert found.usage.total_tokens == encoder.max_length
    ids = encoder.tokenizer(long, add_special_tokens=False)["input_ids"]
    found = client.embeddings.create(input=ids, model=NAME, extra_body={"truncate": True})
    np.testing.assert_allclose(vectors(found), encoder.encode([long]), atol=1e-6)


LONG = "the cat runs " * 30
MISTAKES = {  # what is sent: the status, the field, a part of the message
    "no input": ({}, 400, "input", "expected a text, a list of texts"),
    "empty list": ({"input": []}, 400, "input", "expected a text"),
    "blank text": ({"input": ["a cat", " "]}, 400, "input", "input[1]: got a blank text"),
    "empty text": ({"input": ""}, 400, "input", "blank"),
    "mixed": ({"input": ["a", 3]}, 400, "input", "input[1]: got 3"),
    "numbers in text": ({"input": {"text": "a"}}, 400, "input", "expected a text"),
    "empty ids": ({"input": [[]]}, 400, "input", "expected token ids"),
    "true is no id": ({"input": [[True]]}, 400, "input", "got true"),
    "foreign ids": ({"input": [[100257]]}, 400, "input", "of this model's own tokenizer"),
    "negative ids": ({"input": [-1]}, 400, "input", "got -1"),
    "too many": ({"input": ["a"] * 51}, 400, "input", "got 51 inputs, expected at most 50"),
    "too long": ({"input": ["a", LONG]}, 400, "input", "input[1] has 92 tokens, the model reads 48 at most"),
    "too long ids": ({"input": [9] * 47}, 400, "input", "has 49 tokens"),
    "too many tokens": ({"input": ["a cat runs " * 10] * 20}, 400, "input", "got 640 tokens, expected at most 400"),
    "surrogate": (b'{"input": "a \\ud800"}', 400, "input", "half of a surrogate pair"),
    "more dimensions": ({"input": "a", "dimensions": 33}, 400, "dimensions", "whole number from 1 to 32"),
    "no dimensions": ({"input": "a", "dimensions": 0}, 400, "dimensions", "got 0"),
    "half a dimension": ({"input": "a", "dimensions": 1.5}, 400, "dimensions", "got 1.5"),
    "another model": ({"input": "a", "model": "text-embedding-3-small"}, 404, "model", "expected 'small'"),
    "another form": ({"input": "a", "encoding_format": "int8"}, 400, "encoding_format", "float or base64"),
    "another field": ({"input": "a", "dimension": 3}, 400, "dimension", "an unknown field"),
    "another prompt": ({"input": "a", "prompt_name": "x"}, 400, "prompt_name", "prompt 'x'"),
    "prompt of ids": ({"input": [9], "prompt_name": "query"}, 400, "prompt_name", "given with token ids"),
    "no object": (b"[1]", 400, None, "got a list, expected an object"),
    "no JSON": (b"{", 400, None, "got no JSON"),
    "NaN": (b'{"input": NaN}', 400, None, "NaN is no value"),
    "twice": (b'{"input": "a", "input": "b"}', 400, None, "stands twice"),
    "deep": (b'{"input": ' + b"[" * 100_000, 400, None, "got more than 100 nested brackets, expected fewer"),
    "a flag that is null in words": ({"input": "a", "truncate": "null"}, 400, "truncate", "got 'null', expected true"),
    "a list for a word": ({"input": "a", "user": "b", "prompt_name": [None]}, 400, "prompt_name", "got [null]"),
    "long number": (b'{"input": ' + b"9" * 10_000 + b"}", 400, None, "got no JSON"),
    "no UTF-8": (b'{"input": "\xff"}', 400, None, "got the byte 0xff at 11"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_in_the_form_of_openai(api: Server, name: str) -> None:
    given, status, param, message = MISTAKES[name]
    found, answer = post(api, "/v1/embeddings", given)
    error = answer["error"]
    assert found == status and message in error["message"] and "\n" not in error["message"]
    assert error.keys() == {"message", "type", "param", "code"} and error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"input": "a"}', {"Content-Type": "text/plain"}, 415),
        (b'{"input": "a"}', {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        (b'{"input": "a"}', {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"x" * 5000, {}, 413),
    ],
)
def test_bodies_of_other_kinds_are_refused(encoder: Encoder, body: bytes, headers: dict[str, str], status: int) -> None:
    with serving(encoder, limits=Limits(body_bytes=4000)) as server:
        assert post(server, "/v1/embeddings", body, **headers)[0] == status


@pytest.mark.parametrize("method, path, allowed", [
    ("GET", "/v1/embeddings", "POST"), ("POST", "/health", "GET, HEAD"), ("DELETE", "/v1/models/a/b", "GET, HEAD"),
])  # fmt: skip
def test_a_method_that_a_path_does_not_have_is_answered_with_those_it_has(
    api: Server, method: str, path: str, allowed: str
) -> None:
    status, headers, answer = ask(api, method, path, None, {})
    assert status == 405 and headers["Allow"] == allowed and f"expected {allowed}" in answer.decode()


def test_exceptions_of_the_client_are_those_of_openai(client) -> None:
    with pytest.raises(openai.BadRequestError, match="dimensions: got 33"):
        client.embeddings.create(input="a", model=NAME, dimensions=33)
    with pytest.raises(openai.NotFoundError, match="not served here"):
        client.embeddings.create(input="a", model="another")


def test_the_model_is_listed(client, api: Server, encoder: Encoder) -> None:
    (model,) = client.models.list().data
    assert model.id == NAME and client.models.retrieve(NAME) == model
    facts = json.loads(get(api, "/v1/models")[2])["data"][0]
    assert facts["dimension"] == 32 and facts["max_length"] == 48 and facts["position_type"] == "learned"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another")


@pytest.mark.parametrize(
    "header", ["Bearer the-key", "bearer other-key", "Basic " + base64.b64encode(b"me:the-key").decode()]
)
def test_a_key_lets_in(encoder: Encoder, header: str) -> None:
    with serving(encoder, keys=["the-key", "other-key"]) as server:
        assert post(server, "/v1/embeddings", {"input": "a"}, Authorization=header)[0] == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer the-ke", "Bearer the-key2", "Basic !!", "the-key", "Bearer \xe9"]
)
def test_without_the_key_nothing_is_answered_but_health(encoder: Encoder, header: str) -> None:
    with serving(encoder, keys=["the-key"]) as server:
        status, answer = post(server, "/v1/embeddings", {"input": "a"}, Authorization=header)
        assert status == 401 and answer["error"]["code"] == "invalid_api_key"
        for path, expected in (("/v1/models", 401), ("/metrics", 401), ("/nothing", 401), ("/health", 200)):
            assert get(server, path, Authorization=header)[0] == expected
        with openai.OpenAI(base_url=f"{server.url}v1", api_key="wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError):
                client.embeddings.create(input="a", model=NAME)


def test_pages_of_other_origins_are_let_in_by_name_only(encoder: Encoder) -> None:
    asking = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    with serving(encoder) as server:
        assert "access-control-allow-origin" not in get(server, "/health", Origin="https://a.example")[1]
    with serving(encoder, origins=["https://a.example"], keys=["the-key"]) as server:
        status, headers, _ = ask(server, "OPTIONS", "/v1/embeddings", None, asking)
        assert status == 200 and headers["access-control-allow-origin"] == "https://a.example"
        assert "access-control-allow-origin" not in get(server, "/health", Origin="https://b.example")[1]
