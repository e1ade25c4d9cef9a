"""Train sentence encoders on pairs of texts, and students of a teacher: static, smaller, of another language."""
