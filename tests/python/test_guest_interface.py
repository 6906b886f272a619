"""docs/guest-interface.md shows the tutorial guest whole, names every function, and what it says runs."""
import re

from llm_goldens import SOURCE, run

DOC = (SOURCE / "docs/guest-interface.md").read_text(encoding="utf-8")


def main():
    tutorial = (SOURCE / "guests/tutorial/tutorial.c").read_text(encoding="utf-8")
    listing = re.search(r"```c\n(.*?)```", DOC, re.DOTALL).group(1)
    assert listing == tutorial, "the listing is not guests/tutorial/tutorial.c"
    header = (SOURCE / "include/driftwood_guest.h").read_text(encoding="utf-8")
    functions = re.findall(r"\b(dw_\w+)\(", re.sub(r"//.*", "", header))
    missing = [name for name in functions if f"`{name}(" not in DOC]
    assert len(functions) > 20 and not missing, f"not in the reference: {missing}"
    example = re.search(r"\$ driftwood run tutorial --message \"(.*?)\"\n(.*?)```", DOC, re.DOTALL)
    assert run("run", "tutorial", "--message", example.group(1)).decode() == example.group(2)


main()
