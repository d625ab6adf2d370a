"""`python -m tinygrad_opt playground`: two optimizers race in a page of your browser.

What happens stands in files that need no library of pages, and are tested without one:

    tasks.py        what is learnt: points of two classes, or the lowest point of a landscape
    contestants.py  which optimizers take part, and what can be turned of each
    rule_text.py    an update rule from text that somebody has typed
    race.py         two contestants, step by step
    session.py      a race on a thread of its own, which takes orders and shows how far it is

and the page, with Panel, in

    page.py         what can be chosen, turned and pressed
    pictures.py     what is drawn
    line.py         the arguments of the command
"""
