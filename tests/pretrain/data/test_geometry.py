from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pretrain.data.geometry import covering, even
from pretrain.data.video import VideoInfo

sides = st.integers(16, 500)
shares = st.floats(0, 0.45)


@given(size=st.tuples(sides, sides), wanted=st.tuples(sides, sides), border=st.tuples(shares, shares, shares, shares))
def test_what_the_border_leaves_covers_what_is_wanted(
    size: tuple[int, int], wanted: tuple[int, int], border: tuple[float, float, float, float]
) -> None:
    info = VideoInfo(100, 25.0, size[1], size[0], 4.0, "h264", 0, True)
    scaled, cover, start = covering(info, *wanted, border)
    for whole, left, need, begin in zip(scaled, cover, wanted, start, strict=True):
        assert whole % 2 == left % 2 == 0
        assert need <= left <= whole
        assert 0 <= begin <= whole


def test_the_next_even_number() -> None:
    assert [even(length) for length in (4.0, 4.1, 5, 6)] == [4, 6, 6, 6]
    info = VideoInfo(100, 25.0, 320, 240, 4.0, "h264", 0, True)
    # 216 rows are left of 240, of which 0.3 are 64.8: 66; a whole frame is then 66 / 0.9 rows
    assert covering(info, 64, 96, (0.1, 0.0, 0.0, 0.0)) == ((74, 96), (66, 96), (7, 0))
