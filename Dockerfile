FROM python:3.11.13-slim-bookworm
RUN useradd --create-home --home-dir /var/lib/factline factline
WORKDIR /usr/src/factline
COPY . .
RUN pip install --no-cache-dir '.[distributed]'
USER factline
WORKDIR /var/lib/factline
# volumes that are mounted here belong to the user then
RUN mkdir data secrets
ENTRYPOINT ["factline"]
