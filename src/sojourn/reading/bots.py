"""Bots: programs that say in their user agent what they are."""

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc


def are_bots(user_agents: pa.ChunkedArray) -> pa.Array:
    """Of each user agent whether a maintained list of bots knows it; who has none is no bot.

    Each distinct text is looked at once.
    """
    coded = user_agents.combine_chunks().dictionary_encode()
    coded = coded if isinstance(coded, pa.Array) else pa.concat_arrays(coded.chunks)
    known = pa.array(map(_is_bot, coded.dictionary.to_pylist()), pa.bool_())
    return pc.fill_null(pc.take(known, coded.indices), False)


@cache
def _is_bot(user_agent: str) -> bool:
    from crawleruseragents import is_crawler  # reads its list and compiles it: a tenth of a second

    return bool(is_crawler(user_agent))
