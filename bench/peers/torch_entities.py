#!/usr/bin/env python3
"""Bags named by entities in PyTorch: the rows of the entities are gathered, then torch.nn.functional.embedding_bag.

torch_embedding gets the same bags written out, so it does not look them up. Bags of one size lie in a matrix here, which
is the fastest form for PyTorch.
"""
import numpy
import torch

import peer_common
import torch_common
from peer_common import EPSILON, Arrays, Work, difference
from torch_common import tensor, to_numpy


def table_bag_entities(arrays: Arrays, axes: dict) -> Work | None:
    sizes = numpy.diff(arrays["entity_bags_row_offsets"])
    if (sizes != sizes[0]).any() or "entity_bags_values" in arrays:
        return None
    table, entities = tensor(arrays["table"]), tensor(arrays["entities"])
    rows_of_entity = tensor(arrays["entity_bags_columns"].reshape(len(sizes), sizes[0]))
    state = {}

    def run():
        with torch.no_grad():
            state["out"] = torch.nn.functional.embedding_bag(rows_of_entity.index_select(0, entities), table, mode="sum")

    def fault() -> str:
        bags = arrays.csr("bags", len(table)).astype(numpy.float64)
        magnitude = abs(bags) @ abs(arrays["table"]).astype(numpy.float64)
        return difference("out", to_numpy(state["out"]), arrays["out"], 2 * (sizes[0] + 1) * EPSILON * magnitude)

    return Work(run, fault)


if __name__ == "__main__":
    peer_common.main("torch, by entities", torch_common.VERSIONS, {"table_bag_entities": table_bag_entities}, torch_common.prepare)
