"""Parse the package manifests, so that a slip in them shows before a build."""

from pathlib import Path
from xml.etree import ElementTree

for manifest in sorted(Path().glob("package.xml")) + sorted(Path("underlay").rglob("*.xml")):
    ElementTree.parse(manifest)
