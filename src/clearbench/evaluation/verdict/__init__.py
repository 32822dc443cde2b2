"""The verdict on a run: forgot, did not, or undecided, from tests against gold and original."""
