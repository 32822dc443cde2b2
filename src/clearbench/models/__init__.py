"""Language models, vision-language models and classifiers with one interface."""
