"""docs/retraining.md is tested: its code runs, with a shorter training."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "docs" / "retraining.md").read_text(encoding="utf-8")


def test_its_code_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    short = code.replace("seeds=3", "seeds=2").replace("epochs=30", "epochs=1")
    assert short.count("seeds=2") == short.count("epochs=1") == 1
    monkeypatch.chdir(tmp_path)
    exec(short, {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-4:-2] for line in lines] == [["673", "10"], ["673", "10"], ["1347", "10"]]
