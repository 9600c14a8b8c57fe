"""Backbones of timm and torchvision by name; pretrained=True would start from their ImageNet weights."""

from sklearn.datasets import load_digits

from metaux import MetauxClassifier

digits = load_digits()
images, kinds = digits.images[:200], digits.target[:200] % 2
for backbone in ("timm:resnet10t", "torchvision:shufflenet_v2_x0_5"):
    classifier = MetauxClassifier(
        backbone=backbone, method="maxl", subclasses=5, epochs=4, batch_size=20, random_state=0
    )
    classifier.fit(images, kinds)
    print(f"{backbone}: accuracy {classifier.score(images, kinds):.3f} on {len(images)} training images")
