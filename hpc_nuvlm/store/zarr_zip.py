"""Arrays to the bytes of a zarr v3 group in an uncompressed zip: what columns.py reads, and zarr-python too."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import zarr
from numcodecs import blosc
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import MemoryStore

from hpc_nuvlm.store.columns import CHUNK_ROWS

CODEC = {"cname": "zstd", "clevel": 5}
SHUFFLES = {"bitshuffle": blosc.BITSHUFFLE, "shuffle": blosc.SHUFFLE}
SAMPLE_CHUNKS = 4
# The earliest time that zip can express: equal events give equal bytes, whenever they are packed
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def zip_of(arrays: dict[str, np.ndarray], attributes: dict) -> bytes:
    """The file's bytes; equal arrays of one dimension (N,) and equal attributes give equal ones."""
    members: dict = {}
    store = MemoryStore(members)
    group = zarr.create_group(store, attributes=attributes, zarr_format=3)
    for name, values in arrays.items():
        group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(CHUNK_ROWS,),
            shards=(max(1, -(-len(values) // CHUNK_ROWS)) * CHUNK_ROWS,),
            compressors=[BloscCodec(**CODEC, shuffle=_best_shuffle(values)), Crc32cCodec()],
            # A chunk of zeros is written like any other, so an absent chunk is always a damage
            config={"write_empty_chunks": True},
        )[:] = values
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), members[name].to_bytes())
    return data.getvalue()


def _best_shuffle(values: np.ndarray) -> str:
    """Which of two transforms makes the first chunks of a column smaller.

    Positions on a grid of voxels have few values, which bytes keep whole; others change bit by bit.
    """
    sample = np.ascontiguousarray(values[: SAMPLE_CHUNKS * CHUNK_ROWS])
    name, level = CODEC["cname"].encode(), CODEC["clevel"]
    sizes = {shuffle: len(blosc.compress(sample, name, level, code)) for shuffle, code in SHUFFLES.items()}
    return min(sizes, key=sizes.get)
