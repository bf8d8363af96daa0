"""Explaining: whether what a vision-language model says of a picture is true, and whether it is why it decides so.

texts.py has the texts written and keeps them; sureness.py leaves out what the model is unsure of; regions.py finds the
pixels that a text names, and others to compare with; deletion.py blanks them; sheets.py makes tables of the results.
"""
