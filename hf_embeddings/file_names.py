"""The names of the files that a run, a conversion and an evaluation leave beside a model."""

# Of a checkpoint.
WEIGHTS, OPTIMIZER, AVERAGE, STATE = "model.safetensors", "optimizer.safetensors", "average.safetensors", "state.json"
# Of replaced-token detection: the generator, a model directory beside the discriminator's files; and what the token
# table of the discriminator adds to that of the generator. The sum is in WEIGHTS.
GENERATOR, DIFFERENCE = "generator", "token_difference.safetensors"
# Files of a checkpoint that a user of the model does not need.
NOT_OF_THE_MODEL = (OPTIMIZER, AVERAGE, STATE, DIFFERENCE)

# Of a run's output directory.
CHECKPOINTS = "checkpoints"  # directory of them
OPTIONS, FIGURES = "pretraining.yaml", "pretraining.json"
EMBEDDING_OPTIONS, EMBEDDING_FIGURES = "embedding.yaml", "embedding.json"  # of `embed`
STATUS, BAD_STEPS = "status.json", "bad_steps.json"
OF_A_RUN = (f"{CHECKPOINTS}/*", STATUS, BAD_STEPS, ".lock", ".lock.json", ".*.staged", ".tmp-*")  # not of its model

# The reports that verbs leave beside the model that they make.
VOCABULARY, REPOSITIONING, DISTILLATION = "vocabulary.json", "repositioning.json", "distillation.json"
DEBIASING = "debiasing.json"
REPORTS = (VOCABULARY, REPOSITIONING, DISTILLATION, DEBIASING)
ORIGIN = "origin.json"  # what `convert` and the verbs of these reports made the checkpoint from
EMBEDDING_EVALUATION = "embedding_evaluation.json"  # the report of `evaluate --card`
FINE_TUNING = "all_results.json"  # the metrics that `Trainer.save_metrics` leaves
