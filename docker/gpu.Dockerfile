# metaux on NVIDIA GPUs, from a checkout, on a host with NVIDIA's driver and container toolkit:
#
#     docker build -f docker/gpu.Dockerfile -t metaux:gpu .
#     docker run --rm --gpus all --ipc host -v "$PWD:/work" metaux:gpu compare photos/ --device cuda --out results
#
# PyTorch's packages bring CUDA's libraries; the image needs none of its own.
FROM python:3.12-slim

ARG EXTRAS="timm,embedding,tables,onnx"
# The version comes from git's tag, which a build context without .git doesn't have.
ARG VERSION="0.1.0"

COPY . /source
# torch compiles parts of a network for the GPU with the system's C compiler.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/* \
 && SETUPTOOLS_SCM_PRETEND_VERSION="$VERSION" pip install --no-cache-dir "/source[$EXTRAS]" \
 && rm -rf /source

RUN useradd --create-home metaux && mkdir /work && chown metaux /work
USER metaux
WORKDIR /work
ENTRYPOINT ["metaux"]
CMD ["--help"]
