"""When words are said: by attention, by CTC, and in the sound."""
