"""Print the scores that fastembed gives to pairs with a directory for servers: DIR FILE < pairs as JSON."""

import json
import sys

from fastembed.common.model_description import ModelSource
from fastembed.rerank.cross_encoder import TextCrossEncoder

folder, file = sys.argv[1:]
TextCrossEncoder.add_custom_model(model="ours/model", sources=ModelSource(hf="ours/model"), model_file=file)
model = TextCrossEncoder("ours/model", specific_model_path=folder)
print(json.dumps([float(score) for score in model.rerank_pairs([tuple(pair) for pair in json.load(sys.stdin)])]))
