"""Libraries that embed texts and search them. One function each, `(folder, trust) -> figure`."""

import numpy as np
import torch
from inputs import TEXTS, NotOffered, batch, hidden, load, same


def encoder(folder: str, trust: bool):
    """Return a SentenceTransformer that takes the mean of a text's hidden states."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(folder, trust_remote_code=trust, device="cpu")


def bertopic(folder: str, trust: bool) -> str:
    """Topics of 40 texts, saved, loaded, and told again."""
    from bertopic import BERTopic
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    texts, model = TEXTS * 10, encoder(folder, trust)
    topics = BERTopic(
        embedding_model=model, umap_model=PCA(2), hdbscan_model=KMeans(2, random_state=0, n_init=1), min_topic_size=2
    )
    topics.fit_transform(texts)
    topics.save("topics", serialization="safetensors", save_ctfidf=True, save_embedding_model=False)
    again = BERTopic.load("topics", embedding_model=encoder(folder, trust))
    found, expected = again.transform(texts), BERTopic.load("topics", embedding_model=model).transform(texts)
    assert len(topics.get_topic_info()) == 2
    same(np.array(found[0]), np.array(expected[0]), 0)
    return same(np.array(found[1]), np.array(expected[1]))


def keybert(folder: str, trust: bool) -> str:
    """Key words of a text, with the scores that their embeddings have."""
    from keybert import KeyBERT

    model = encoder(folder, trust)
    found = KeyBERT(model=model).extract_keywords(TEXTS[0], stop_words=None, top_n=3)
    vectors = model.encode([TEXTS[0], *(word for word, _ in found)], normalize_embeddings=True)
    assert len(found) == 3
    return same(np.array([score for _, score in found]), vectors[1:] @ vectors[0], 1e-3)


def bert_score(folder: str, trust: bool) -> str:
    """Scores of candidates; a text compared with itself has 1."""
    from bert_score import BERTScorer

    if trust:
        raise NotOffered("no trust_remote_code")
    scorer = BERTScorer(model_type=folder, num_layers=1, device="cpu")
    _, _, score = scorer.score(TEXTS, TEXTS)
    _, _, other = scorer.score(TEXTS, TEXTS[::-1])
    assert other.max() < 1
    return same(score, torch.ones(len(TEXTS)))


def pylate(folder: str, trust: bool) -> str:
    """A ColBERT model: a vector for each token, saved and loaded."""
    from pylate import models

    torch.manual_seed(0)
    model = models.ColBERT(folder, trust_remote_code=trust, device="cpu", embedding_size=8)
    expected = model.encode(TEXTS, is_query=False)
    model.save_pretrained("saved")
    again = models.ColBERT("saved", trust_remote_code=trust, device="cpu").encode(TEXTS, is_query=False)
    return same(np.concatenate(again), np.concatenate(expected))


def spacy_transformers(folder: str, trust: bool) -> str:
    """The transformer component of a spaCy pipeline, saved and loaded."""
    import spacy

    pipeline = spacy.blank("en")
    settings = {"name": folder, "transformer_config": {"trust_remote_code": trust}}
    pipeline.add_pipe(
        "transformer", config={"model": {"@architectures": "spacy-transformers.TransformerModel.v3", **settings}}
    )
    pipeline.initialize()
    expected = pipeline(TEXTS[0])._.trf_data.last_hidden_layer_state.dataXd
    pipeline.to_disk("pipeline")
    return same(spacy.load("pipeline")(TEXTS[0])._.trf_data.last_hidden_layer_state.dataXd, expected)


def langchain(folder: str, trust: bool) -> str:
    """An in-memory vector store of HuggingFaceEmbeddings, dumped, loaded and searched."""
    from langchain_core.vectorstores import InMemoryVectorStore
    from langchain_huggingface import HuggingFaceEmbeddings

    embeddings = HuggingFaceEmbeddings(model_name=folder, model_kwargs={"trust_remote_code": trust, "device": "cpu"})
    store = InMemoryVectorStore.from_texts(TEXTS, embeddings)
    store.dump("store.json")
    found = InMemoryVectorStore.load("store.json", embeddings).similarity_search_with_score(TEXTS[1], k=1)
    assert found[0][0].page_content == TEXTS[1]
    return same(np.array(embeddings.embed_documents(TEXTS)), encoder(folder, trust).encode(TEXTS))


def haystack(folder: str, trust: bool) -> str:
    """Documents embedded into a store and found again by a pipeline."""
    from haystack import Document, Pipeline
    from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack_integrations.components.embedders import sentence_transformers as embedders

    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    options = {"model": folder, "trust_remote_code": trust}
    documents = embedders.SentenceTransformersDocumentEmbedder(**options)
    documents.warm_up()
    embedded = documents.run([Document(content=text) for text in TEXTS])["documents"]
    store.write_documents(embedded)
    search = Pipeline()
    search.add_component("query", embedders.SentenceTransformersTextEmbedder(**options))
    search.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=1))
    search.connect("query.embedding", "retriever.query_embedding")
    assert search.run({"query": {"text": TEXTS[1]}})["retriever"]["documents"][0].content == TEXTS[1]
    return same(np.array([document.embedding for document in embedded]), encoder(folder, trust).encode(TEXTS))


def txtai(folder: str, trust: bool) -> str:
    """An index of texts, saved, loaded and searched."""
    import txtai

    def index():
        return txtai.Embeddings(path=folder, vectors={"trust_remote_code": trust}, content=True, gpu=False)

    first = index()
    first.index(TEXTS)
    first.save("index")
    again = index()
    again.load("index")
    assert again.search(TEXTS[1], 1)[0]["text"] == TEXTS[1]
    inputs = batch(folder, trust)
    states, mask = hidden(load("AutoModel", folder, trust), inputs), inputs["attention_mask"][..., None]
    mean = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
    return same(np.array(again.batchtransform(TEXTS)), mean)
