# metaux on processors, from a checkout:
#
#     docker build -f docker/cpu.Dockerfile --build-arg TORCH_INDEX=ADDRESS -t metaux .
#     docker run --rm -v "$PWD:/work" metaux compare photos/ --out results
#
# ADDRESS is PyTorch's package index for "CPU", as its page "Get started: start locally" shows it. Without one, pip
# takes the packages for NVIDIA GPUs, which are gigabytes larger.
FROM python:3.12-slim

ARG TORCH_INDEX=""
ARG EXTRAS="timm,embedding,tables,onnx"
# The version comes from git's tag, which a build context without .git doesn't have.
ARG VERSION="0.1.0"

COPY . /source
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch torchvision \
 && SETUPTOOLS_SCM_PRETEND_VERSION="$VERSION" pip install --no-cache-dir "/source[$EXTRAS]" \
 && rm -rf /source

# Nothing here needs to be root; files in /work belong to whom `docker run --user` names.
RUN useradd --create-home metaux && mkdir /work && chown metaux /work
USER metaux
WORKDIR /work
ENTRYPOINT ["metaux"]
CMD ["--help"]
