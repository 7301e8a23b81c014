"""The tour that ``dver demo`` gives: a real data set, a real model, and every command for real."""
