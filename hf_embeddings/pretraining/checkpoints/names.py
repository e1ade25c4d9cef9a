"""The names of what a run leaves: files of a checkpoint, and where checkpoints are in the output directory."""

CHECKPOINTS = "checkpoints"  # directory of them
WEIGHTS, OPTIMIZER, AVERAGE, STATE = "model.safetensors", "optimizer.safetensors", "average.safetensors", "state.json"
NOT_OF_THE_MODEL = (OPTIMIZER, AVERAGE, STATE)  # files of a checkpoint that a user of the model does not need
