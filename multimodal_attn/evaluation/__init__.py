"""What the texts and the attention of a model are worth, in numbers."""
