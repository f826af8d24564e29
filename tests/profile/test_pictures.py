"""What a profile shows: the table, the speedscope file, the page."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

import solder
from solder.errors import InputError
from solder.profile import Profile, profile_block
from solder.profile.page import page
from solder.profile.speedscope import SCHEMA, speedscope


@pytest.fixture(scope="module")
def profile(sample_blocks: Path) -> Profile:
    return profile_block(*solder.load_block(sample_blocks / "19933122"), repeat=1, tree=True)


def test_pictures_table_names_every_part(profile: Profile) -> None:
    text = profile.table()
    assert all(part.name in text for part in profile.parts)
    assert "transfer(address,uint256)" in text
    assert f"{profile.gas['total']:,}" in text
    assert max(map(len, text.splitlines())) <= 120


def test_pictures_speedscope_has_the_gas_and_the_time(profile: Profile) -> None:
    content = json.loads(json.dumps(profile.speedscope()))
    assert content["$schema"] == SCHEMA
    gas, time = content["profiles"]
    assert (gas["unit"], time["unit"]) == ("none", "nanoseconds")
    spent = profile.gas["total"] + profile.gas["refund"] - profile.gas["floor_top_up"]
    assert gas["endValue"] == sum(gas["weights"]) == spent
    assert time["endValue"] == sum(time["weights"]) > 0
    frames = content["shared"]["frames"]
    for one in (gas, time):
        assert len(one["samples"]) == len(one["weights"])
        assert all(0 <= frame < len(frames) for sample in one["samples"] for frame in sample)
        assert all(weight > 0 for weight in one["weights"])


def test_pictures_need_the_trees(sample_blocks: Path) -> None:
    bare = profile_block(*solder.load_block(sample_blocks / "46147"), repeat=1)
    with pytest.raises(InputError) as raised:
        speedscope([bare])
    assert raised.value.field == "tree"
    assert "Flame graph" not in page([bare])


class _Page(HTMLParser):
    """Counts what matters, and refuses what would come from elsewhere or run."""

    VOID = frozenset(("meta", "input", "br", "rect"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "img", "iframe"}
        assert not {"src", "href", "onload", "onclick"} & {name for name, _ in attributes}
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_pictures_page_is_whole_and_stands_alone(profile: Profile) -> None:
    text = page([profile])
    found = _Page()
    found.feed(text)
    assert found.open == []
    assert found.count["svg"] == 2
    assert found.count["rect"] > 100
    assert "@import" not in text
    assert "url(" not in text
    assert f"structured {profile.structured.gas:.1%}" in text


def test_pictures_page_of_several_blocks_lists_them(profile: Profile, sample_blocks: Path) -> None:
    other = profile_block(*solder.load_block(sample_blocks / "4370000"), repeat=1, tree=True)
    text = page([profile, other])
    assert "2 blocks" in text
    assert profile.name in text
    assert other.name in text


def test_pictures_notebook_shows_the_bars(profile: Profile) -> None:
    assert 'class="bar"' in profile._repr_html_()
    assert "structured" in repr(profile)
