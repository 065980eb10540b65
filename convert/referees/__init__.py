"""Referees: other people's ways from the step graph to a file, to hold ours against. A new one is one new file and one
line here; each is called like the extra that brings it.
"""

from edge.registry import Registry

REFEREES = Registry("referee", {"tensorflow": "convert.referees.by_tensorflow:TensorFlowReferee"})
