"""What the server of small_run.py imports and prepares before it forks: no thread may have been started by then."""

import torch

from tests.faults import small_run

torch.set_num_threads(1)
small_run._tokenized()
