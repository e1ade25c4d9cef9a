"""Print the vectors of sentence-transformers' onnx backend: DIR KIND FILE < texts, or pairs, as JSON."""

import json
import sys
import warnings

folder, kind, file = sys.argv[1:]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from sentence_transformers import CrossEncoder, SentenceTransformer

options = {"backend": "onnx", "model_kwargs": {"file_name": file, "provider": "CPUExecutionProvider"}}
texts = json.load(sys.stdin)
if kind == "CrossEncoder":
    print(json.dumps(CrossEncoder(folder, **options).predict([tuple(pair) for pair in texts]).tolist()))
else:
    print(json.dumps(SentenceTransformer(folder, **options).encode(texts).tolist()))
