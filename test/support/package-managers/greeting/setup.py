from setuptools import setup

setup(
    name="greeting",
    version="1",
    py_modules=["greeting"],
    entry_points={"console_scripts": ["greeting=greeting:main"]},
)
