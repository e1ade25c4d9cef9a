"""Points and vectors for other tools: the TensorBoard projector, and parquet for embedding-atlas.

Shapes: N points, D width, P 2 or 3.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hf_embeddings.files.atomic import replace_text, replacing


def write_projector(folder: Path, vectors: np.ndarray, labels: Sequence[str], groups: Sequence[str]) -> Path:
    """Write what `tensorboard --logdir FOLDER` shows in its projector, and projector.tensorflow.org loads by hand.

    Returns:
        The folder: `vectors.tsv`, `metadata.tsv`, `projector_config.pbtxt`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "vectors.tsv", durable=False) as staged:
        np.savetxt(staged, vectors, fmt="%.6g", delimiter="\t")
    clean = [(" ".join(label.split()), " ".join(group.split())) for label, group in zip(labels, groups, strict=True)]
    lines = ["label\tgroup", *(f"{label}\t{group}" for label, group in clean)]
    replace_text(folder / "metadata.tsv", "\n".join(lines) + "\n", durable=False)
    replace_text(
        folder / "projector_config.pbtxt",
        'embeddings {\n  tensor_name: "embeddings"\n  tensor_path: "vectors.tsv"\n  metadata_path: "metadata.tsv"\n}\n',
        durable=False,
    )
    return folder


def write_parquet(
    path: Path, vectors: np.ndarray, points: np.ndarray, labels: Sequence[str], groups: Sequence[str],
    neighbours: np.ndarray, cosines: np.ndarray,
) -> Path:  # fmt: skip
    """Write a table that `embedding-atlas FILE --text text --x projection_x --y projection_y` shows.

    Args:
        path: file to write.
        vectors: (N, D).
        points: (N, P).
        labels: N texts.
        groups: N names.
        neighbours: (N, k) rows of the nearest, for `--neighbors neighbors`.
        cosines: (N, k) of them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    near = [
        {"ids": rows, "distances": distances}
        for rows, distances in zip(neighbours.tolist(), (1 - cosines).tolist(), strict=True)
    ]
    columns = {
        "id": pa.array(range(len(labels))),
        "text": pa.array(labels),
        "group": pa.array(groups),
        **{
            f"projection_{axis}": pa.array(points[:, i].astype(float))
            for i, axis in enumerate("xyz"[: points.shape[1]])
        },
        "neighbors": pa.array(near),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), vectors.shape[1]),
    }
    table = pa.table(columns).replace_schema_metadata({"hf_embeddings": json.dumps({"columns": list(columns)})})
    with replacing(path, durable=False) as staged:
        pq.write_table(table, staged)
    return path
