/**
 * Host and port as URIs have them (RFC 3986 §3.2.2): an IPv6 address in brackets, and no port where it is the one that
 * everybody expects. Without `defaultPort` the port is always there.
 */
export function hostPort(host: string, port: number, defaultPort?: number): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === defaultPort ? name : `${name}:${port}`;
}
