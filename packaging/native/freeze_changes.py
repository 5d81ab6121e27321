"""What is changed of others' modules when they are frozen: each change with its reason.

A change names the text that it replaces, and how often that occurs: a new version in which it is
another stops the build, for somebody to look.
"""

from typing import NamedTuple

ROOT = "/<embedded>"  # of what has a place on the disk otherwise; embedded/_embedded.py has it, too


class Change(NamedTuple):
    """In the source of ``module``, ``old`` becomes ``new``, ``times`` times."""

    module: str
    old: str
    new: str
    times: int
    reason: str


CHANGES = (
    Change(
        "botocore.loaders",
        "import os\n",
        "import os\n\nimport _embedded\n",
        1,
        "botocore's data is a folder that is linked in",
    ),
    Change("botocore.loaders", "os.path.isfile(", "_embedded.isfile(", 2, "as above"),
    Change("botocore.loaders", "os.path.isdir(", "_embedded.isdir(", 3, "as above"),
    Change("botocore.loaders", "os.listdir(", "_embedded.listdir(", 3, "as above"),
    Change(
        "botocore.loaders",
        "        with open_method(full_path, 'rb') as fp:\n",
        "        data = _embedded.value(full_path)\n"
        "        if data is not None:\n"
        "            return data\n"
        "        with open_method(full_path, 'rb') as fp:\n",
        1,
        "its values are ready: no JSON is parsed",
    ),
    Change(
        "botocore.httpsession",
        "DEFAULT_CA_BUNDLE = os.path.join(os.path.dirname(__file__), 'cacert.pem')\n",
        "DEFAULT_CA_BUNDLE = os.path.join(os.path.dirname(__file__), 'cacert.pem')\n"
        "import _embedded\n"
        "SSLContext = _embedded.trusting(SSLContext, DEFAULT_CA_BUNDLE)\n",
        1,
        "botocore's certificate authorities are linked in",
    ),
    Change(
        "botocore.docs",
        "from botocore.docs.service import ServiceDocumenter\n",
        "",
        1,
        "what writes manuals loads much, and nobody asks for one",
    ),
    Change(
        "botocore.docs.docstring",
        "from botocore.docs.bcdoc.restdoc import DocumentStructure\n"
        "from botocore.docs.method import document_model_driven_method\n"
        "from botocore.docs.paginator import document_paginate_method\n"
        "from botocore.docs.waiter import document_wait_method\n",
        "",
        1,
        "as above: these make a method's __doc__ when that is read",
    ),
    Change(
        "botocore.compat",
        "    return inspect.getfullargspec(func)[2]\n",
        "    called = func if hasattr(func, '__name__') else type(func).__call__\n"
        "    code = getattr(getattr(called, '__func__', called), '__code__', None)\n"
        "    if code is None or hasattr(func, '__signature__'):\n"
        "        return inspect.getfullargspec(func)[2]\n"
        "    return code.co_flags & 8  # inspect.CO_VARKEYWORDS\n",
        1,
        "all handlers are asked at every start: what inspect finds by way of a signature is a bit",
    ),
    Change(
        "botocore.compat",
        "import xml.etree.ElementTree as ETree\nXMLParseError = ETree.ParseError\n",
        "from xml.etree import ElementTree as ETree\n"
        "from xml.etree.ElementTree import ParseError as XMLParseError\n",
        1,
        "an import may be lazy: ECR answers in JSON, STS alone in XML",
    ),
    Change(
        "botocore.compat",
        "try:\n    import gzip\n    HAS_GZIP = True\nexcept ImportError:\n    HAS_GZIP = False\n",
        "HAS_GZIP = True\n",
        1,
        "it is linked in, and for data of the disk alone",
    ),
    Change(
        "botocore.loaders",
        "    from gzip import open as gzip_open\n\n"
        "    _JSON_OPEN_METHODS['.json.gz'] = gzip_open\n",
        "    def gzip_open(*arguments):\n"
        "        import gzip\n"
        "        return gzip.open(*arguments)\n\n"
        "    _JSON_OPEN_METHODS['.json.gz'] = gzip_open\n",
        1,
        "as above",
    ),
    Change(
        "botocore.credentials",
        "popen=subprocess.Popen):\n",
        "popen=None):\n        popen = popen or subprocess.Popen\n",
        1,
        "who has no credential_process needs no processes",
    ),
    Change(
        "botocore.credentials",
        "        prompter=getpass.getpass,\n",
        "        prompter=lambda *asked: getpass.getpass(*asked),\n",
        1,
        "who has no MFA needs no terminal",
    ),
    Change(
        "botocore.hooks",
        "            event_parts = event_name.split('.')\n            if '.' not in old_part:\n",
        "            if old_part not in event_name:\n"
        "                continue\n"
        "            event_parts = event_name.split('.')\n"
        "            if '.' not in old_part:\n",
        1,
        "each handler's name is looked for in each of sixty old ones: 8,000 times split, at every start",
    ),
    Change(
        "collections",
        "    __new__ = eval(code, namespace)\n",
        "    import _texts\n    __new__ = eval(_texts.ready(code), namespace)\n",
        1,
        "code that is written while modules are imported is compiled when they are frozen",
    ),
    Change(
        "dataclasses",
        "        exec(txt, self.globals, ns)\n",
        "        import _texts\n        exec(_texts.ready(txt), self.globals, ns)\n",
        1,
        "as above",
    ),
    Change(
        "dataclasses",
        "import inspect\n",
        "",
        1,
        "inspect is a tenth of what a miss imports, and used twice here",
    ),
    Change(
        "dataclasses",
        "inspect.get_annotations(cls)",
        "cls.__dict__.get('__annotations__', {})",
        1,
        "as above: what it does for a class",
    ),
    Change(
        "dataclasses",
        "str(inspect.signature(cls)).replace(' -> None', '')",
        "'(...)'",
        1,
        "as above: for a docstring, and here nothing has one",
    ),
    Change(
        "dateutil.tz._common",
        "from six import PY2\n",
        "PY2 = False\n",
        1,
        "six is for Python 2, and half of what a time zone loads",
    ),
    Change(
        "dateutil.tz._factories",
        "from six.moves import _thread\n",
        "import _thread\n",
        1,
        "as above",
    ),
    Change(
        "dateutil.tz.tz",
        "import six\nfrom six import string_types\nfrom six.moves import _thread\n",
        "import _thread\nstring_types = (str,)\n",
        1,
        "as above",
    ),
    Change(
        "dateutil.tz.tz",
        "six.raise_from(TypeError(new_msg), e)",
        "raise TypeError(new_msg) from e",
        1,
        "as above",
    ),
    *(
        Change(
            "dateutil.tz.tz",
            f"@six.add_metaclass({metaclass})\nclass {name}({base}):\n",
            f"class {name}({base}, metaclass={metaclass}):\n",
            1,
            "as above",
        )
        for name, base, metaclass in (
            ("tzutc", "datetime.tzinfo", "_TzSingleton"),
            ("tzoffset", "datetime.tzinfo", "_TzOffsetFactory"),
            ("tzstr", "tzrange", "_TzStrFactory"),
        )
    ),
    Change(
        "re._compiler",
        "def compile(p, flags=0):\n    # internal: convert pattern list to internal format\n",
        "import _patterns\n\n"
        "def compile(p, flags=0):\n"
        "    ready = _patterns.ready(p, flags)\n"
        "    if ready is not None:\n"
        "        return _sre.compile(p, *ready)\n",
        1,
        "expressions that are written in a module are compiled when it is frozen",
    ),
    Change(
        "ssl",
        "        self.set_default_verify_paths()\n",
        "        self.set_default_verify_paths()\n"
        "        import _embedded\n"
        "        _embedded.load_bundle(self)\n",
        1,
        "OpenSSL looks for the machine's authorities at one path, and distributions have others",
    ),
    Change(
        "typing",
        "            code = compile(arg_to_compile, '<string>', 'eval')\n",
        "            code = arg_to_compile\n",
        1,
        "annotations that are text are compiled when somebody evaluates them, and nobody does",
    ),
)


def changed(module: str, source: str) -> str:
    """Return ``source`` of ``module`` with its changes."""
    for change in CHANGES:
        if change.module == module:
            if (found := source.count(change.old)) != change.times:
                raise SystemExit(
                    f"freeze: {module}: {found} times, not {change.times}: {change.old!r}"
                )
            source = source.replace(change.old, change.new)
    return source
