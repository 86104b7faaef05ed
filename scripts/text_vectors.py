#!/usr/bin/env python3
"""Makes vectors of products from their texts, for [vectors] of an import configuration.

    scripts/text_vectors.py products.csv.gz --id product_id --text product_type product_category --out vectors

Writes vectors.npy (float32, a row a product) and vectors.txt (its id, a line a row). The vectors are a truncated singular
value decomposition of TF-IDF weights of words and of parts of words (latent semantic analysis: Deerwester et al., 1990).
Nothing is downloaded: texts that share no parts of words get no similarity, as a trained language model would give.
Needs numpy and scikit-learn.
"""
import argparse
import csv
import gzip
import pathlib

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union


def rows_of(path: pathlib.Path) -> list[dict[str, str]]:
    opened = gzip.open(path, "rt", newline="", encoding="utf-8") if path.suffix == ".gz" else open(path, newline="", encoding="utf-8")
    with opened as file:
        return list(csv.DictReader(file))


def vectors_of(texts: list[str], dim: int) -> np.ndarray:
    """[texts, dim], of unit length; of zeros for a text without a word."""
    weights = make_union(TfidfVectorizer(sublinear_tf=True), TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True))
    vectors = TruncatedSVD(dim, random_state=1).fit_transform(weights.fit_transform(texts))
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype("<f4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=pathlib.Path, help="a CSV with a header, plain or .gz; a row a product")
    parser.add_argument("--id", required=True, help="column of the ids")
    parser.add_argument("--text", required=True, nargs="+", help="columns of texts, which are joined")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="writes OUT.npy and OUT.txt")
    options = parser.parse_args()
    rows = rows_of(options.table)
    vectors = vectors_of([" ".join(row[column] for column in options.text) for row in rows], options.dim)
    np.save(options.out.with_suffix(".npy"), vectors)
    options.out.with_suffix(".txt").write_text("".join(row[options.id] + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
