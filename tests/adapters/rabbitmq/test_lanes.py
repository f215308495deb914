from __future__ import annotations

import pytest

from unibus_rabbitmq.lanes import Lanes, murmur2


# Kafka, clients/src/test/java/org/apache/kafka/common/utils/UtilsTest.java, testMurmur2.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_the_hash_is_kafkas(text: str, expected: int) -> None:
    assert murmur2(text.encode()) == expected & 0xFFFFFFFF


def test_a_key_keeps_its_lane_however_many_others_there_are() -> None:
    lanes = Lanes(4)
    first = lanes.of("42")
    seen = {lanes.of(str(i)) for i in range(10_000)}

    assert lanes.of("42") == first
    assert seen == {"0", "1", "2", "3"}
