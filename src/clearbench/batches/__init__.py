"""Items, padded batches and answers: the rows of a dataset in the form a model takes."""
