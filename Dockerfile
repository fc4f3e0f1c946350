FROM python:3.11.13-slim-bookworm
# a number, because Kubernetes with `runAsNonRoot` cannot tell whether a name is root
RUN useradd --uid 10001 --create-home --home-dir /var/lib/factline factline
WORKDIR /usr/src/factline
COPY . .
# the versions that the tests ran with
RUN pip install --no-cache-dir --constraint constraints.txt '.[distributed]'
USER 10001
WORKDIR /var/lib/factline
# volumes that are mounted here belong to the user then
RUN mkdir data secrets
ENTRYPOINT ["factline"]
