"""Report: what an evaluation leaves for people: files, tables and pictures."""

# How a class is written where a person reads it
CLASS_TITLES = {"nue_cc": "νe CC", "numu_cc": "νμ CC", "nutau_cc": "ντ CC", "nc": "NC"}


def class_title(name: str) -> str:
    """The written form of a class; a class of the user's own is shown by its name."""
    return CLASS_TITLES.get(name, name)
