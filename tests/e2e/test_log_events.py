"""Every event that the mount's own code logs is in the table for people."""

import re

from harness import programs


def test_events_are_documented():
    table = (programs.REPOSITORY / "deploy" / "docs" / "log-events.md").read_text()
    events = set()
    for path in (programs.REPOSITORY / "fs").rglob("*.cc"):
        if "registry" not in path.name:
            events |= set(re.findall(r'spdlog::\w+\([^";]*"([a-z_0-9]+\.[a-z_]+)', path.read_text()))
    assert len(events) > 40
    missing = sorted(event for event in events if f"`{event}`" not in table)
    assert not missing, missing
