/** Text in columns, for terminals. */

/** A table with aligned columns; `style` may dress the finished cells. */
export function table(
  rows: readonly (readonly string[])[],
  style: (cell: string, row: number, column: number) => string = (cell) => cell,
): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row, r) =>
    row
      .map((cell, c) => style(cell.padEnd(widths[c]!), r, c))
      .join('  ')
      .trimEnd(),
  );
}
