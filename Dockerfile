# The proxy and the command, without a model: `docker run scale --help`. compose.yaml adds a vLLM server and a client.
FROM python:3.11-slim
COPY . /src
RUN pip install --no-cache-dir '/src[view,plots,data]' && rm -rf /src && useradd --create-home scale
USER scale
WORKDIR /home/scale
ENTRYPOINT ["scale"]
CMD ["--help"]
