"""One face for language models, vision-language models and classifiers."""
