"""Setting 2 of the paper: training rows from SCALE's runs, filtered by answer, and fine-tuning on them."""
