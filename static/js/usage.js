/* Thirty days as columns, drawn from one answer for every chart of the page. */
(() => {
  "use strict";

  const places = [...document.querySelectorAll(".days[data-url]")];
  if (!places.length) return;
  const language = document.documentElement.lang || "en";
  const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric", timeZone: "UTC" });
  const count = new Intl.NumberFormat(language);
  const short = new Intl.NumberFormat(language, { notation: "compact" });
  const charts = new Map();
  let figures = null;

  const colour = (element, name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    element.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const options = (element) => {
    const kinds = element.dataset.kinds.split(" ");
    const names = element.dataset.names.split("|");
    const ink = colour(element, "--ink-faint");
    const font = getComputedStyle(document.body).fontFamily;
    const fills = kinds.length > 1 ? ["--data-base", "--data-tuned", "--data-champion"] : ["--data-tuned"];
    const text = { color: ink, fontFamily: font, fontSize: 12 };
    return {
      grid: { left: 4, right: 4, top: kinds.length > 1 ? 32 : 12, bottom: 0, containLabel: true },
      legend: {
        show: kinds.length > 1,
        top: 0,
        left: 0,
        itemWidth: 10,
        itemHeight: 10,
        textStyle: text,
        selectedMode: false,
      },
      xAxis: {
        type: "category",
        data: figures.days.map((one) => day.format(new Date(`${one}T00:00:00Z`))),
        axisLine: { lineStyle: { color: colour(element, "--line-strong") } },
        axisTick: { show: false },
        axisLabel: { ...text, hideOverlap: true },
      },
      yAxis: {
        type: "value",
        minInterval: 1,
        splitNumber: 3,
        axisLabel: { ...text, formatter: (value) => short.format(value) },
        splitLine: { lineStyle: { color: colour(element, "--line") } },
      },
      tooltip: {
        trigger: "axis",
        renderMode: "richText",
        confine: true,
        backgroundColor: colour(element, "--raised"),
        borderColor: colour(element, "--line-strong"),
        borderRadius: 6,
        shadowBlur: 0,
        shadowColor: "transparent",
        textStyle: { color: colour(element, "--ink"), fontFamily: font, fontSize: 12 },
        axisPointer: { type: "shadow", shadowStyle: { opacity: 0.4 } },
        formatter: (points) =>
          [
            points[0].axisValueLabel,
            ...points.map((one) => `${one.seriesName}  ${count.format(one.value)}`),
          ].join("\n"),
      },
      series: kinds.map((kind, at) => ({
        name: names[at],
        type: "bar",
        stack: "day",
        data: figures[kind],
        animation: false,
        barMaxWidth: 20,
        barCategoryGap: "30%",
        itemStyle: { color: colour(element, fills[at]) },
      })),
    };
  };

  const draw = (element) => {
    if (!charts.has(element)) {
      const chart = window.echarts.init(element, null, { renderer: "canvas" });
      charts.set(element, chart);
      new ResizeObserver(() => chart.resize()).observe(element);
    }
    charts.get(element).setOption(options(element), { notMerge: true });
  };

  const load = async () => {
    try {
      const answer = await fetch(places[0].dataset.url, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      figures = await answer.json();
      places.forEach(draw);
    } catch {
      for (const element of places) {
        const message = document.createElement("p");
        message.className = "soft";
        message.textContent = element.dataset.broken;
        element.replaceChildren(message);
      }
    }
  };

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (figures) places.forEach(draw);
  });

  load();
})();
