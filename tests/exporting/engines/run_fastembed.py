"""Print the vectors that fastembed makes with a directory for servers: DIR WIDTH OUTPUT FILE < texts as JSON."""

import json
import sys
from pathlib import Path

from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

folder, width, output, file = sys.argv[1:]
poolings = {"sentence_embedding": PoolingType.DISABLED, "mean": PoolingType.MEAN, "cls": PoolingType.CLS}
TextEmbedding.add_custom_model(
    model="ours/model", pooling=poolings[output], normalization=output != "sentence_embedding",
    output_name="sentence_embedding" if output == "sentence_embedding" else None,
    sources=ModelSource(hf="ours/model"), dim=int(width), model_file=file,
)  # fmt: skip
model = TextEmbedding("ours/model", specific_model_path=str(Path(folder)))
print(json.dumps([vector.tolist() for vector in model.embed(json.load(sys.stdin))]))
