"""Sources themselves: whether they answer as their files say, and what a new one has."""
