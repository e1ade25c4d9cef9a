// Print what transformers.js makes of texts: DIR DTYPE MODE < texts, or pairs, as JSON. MODE is "sentence_embedding",
// "score", or a pooling of the feature-extraction pipeline.
import { readFileSync } from "node:fs";
import path from "node:path";
import { AutoModel, AutoModelForSequenceClassification, AutoTokenizer, env, pipeline } from "@huggingface/transformers";

const [folder, dtype, mode] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = path.dirname(folder) + path.sep;
const name = path.basename(folder);
const texts = JSON.parse(readFileSync(0, "utf8"));
const options = { dtype };
if (mode === "sentence_embedding" || mode === "score") {
  const tokenizer = await AutoTokenizer.from_pretrained(name);
  const type = mode === "score" ? AutoModelForSequenceClassification : AutoModel;
  const model = await type.from_pretrained(name, options);
  const rest = { padding: true, truncation: true };
  const inputs =
    mode === "score"
      ? tokenizer(texts.map((pair) => pair[0]), { text_pair: texts.map((pair) => pair[1]), ...rest })
      : tokenizer(texts, rest);
  const outputs = await model(inputs);
  console.log(JSON.stringify((mode === "score" ? outputs.logits : outputs.sentence_embedding).tolist()));
} else {
  const extract = await pipeline("feature-extraction", name, options);
  console.log(JSON.stringify((await extract(texts, { pooling: mode, normalize: true })).tolist()));
}
