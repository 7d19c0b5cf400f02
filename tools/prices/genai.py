"""genai-prices as its package has it, written as its data.json (version 2), which `meshmeter prices import genai-prices` reads.

The package on PyPI holds the data as Python objects only. Run in an environment with genai-prices installed.
"""

import json
import sys
from datetime import date, time
from decimal import Decimal

from genai_prices.data import providers
from genai_prices.types import ClauseAnd, ClauseOr, ModelPrice, TieredPrices


def clause(match):
    if isinstance(match, ClauseOr):
        return {"or": [clause(one) for one in match.or_]}
    if isinstance(match, ClauseAnd):
        return {"and": [clause(one) for one in match.and_]}
    ((name, text),) = vars(match).items()
    return {name: text}


def price(value):
    """Decimals as texts: no float comes between their digits and the price book."""
    if isinstance(value, TieredPrices):
        tiers = [{"start": tier.start, "price": str(tier.price)} for tier in value.tiers]
        return {"base": str(value.base), "tiers": tiers}
    return str(value) if isinstance(value, Decimal) else value


def prices(model_price):
    return {key: price(value) for key, value in vars(model_price).items() if value is not None and key[0] != "_"}


def constraint(value):
    if value is None:
        return None
    said = {}
    for name, limit in vars(value).items():
        if isinstance(limit, (date, time)):
            said[name] = limit.isoformat().replace("+00:00", "") + ("Z" if isinstance(limit, time) else "")
    return said


def priced(one):
    said = {"prices": prices(one.prices)}
    if one.constraint is not None:
        said["constraint"] = constraint(one.constraint)
    if getattr(one, "when", None):
        said["when"] = one.when
    return said


def model(info):
    one = isinstance(info.prices, ModelPrice)
    said = {"id": info.id, "match": clause(info.match)}
    said["prices"] = prices(info.prices) if one else [priced(each) for each in info.prices]
    if info.price_variants:
        said["price_variants"] = [priced(each) for each in info.price_variants]
    return said


def main():
    data = [
        {
            "id": provider.id,
            "fallback_model_providers": provider.fallback_model_providers,
            "models": [model(info) for info in provider.models],
        }
        for provider in providers
    ]
    json.dump(data, sys.stdout, indent=1)
    sys.stdout.write("\n")


main()
