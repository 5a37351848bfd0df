"""What is known exactly about the signals, in closed form, beside what is learned (E21 to E33)."""
