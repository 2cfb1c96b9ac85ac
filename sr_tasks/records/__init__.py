"""Data alone: what the steps of a job hand to each other, and the cards of models. Loads neither a codec library nor a
runtime."""
