"""Setting 2 of the paper: reasoning traces out of SCALE's runs, filtered by answer, and fine-tuning on them."""
