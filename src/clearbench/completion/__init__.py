"""Makes paraphrases and wrong answers for rows that have none."""
